"""Texts of the aliases page."""

TEXTS = {
    "Alias": ("エイリアス", "别名"),
    "Mailbox": ("メールボックス", "邮箱"),
    "Owner": ("所有者", "所有者"),
    "Problem": ("問題", "问题"),
    "Last sync": ("最終同期", "上次同步"),
    "Add": ("追加", "添加"),
    "Saved.": ("保存しました。", "已保存。"),
    "Add alias": ("エイリアスを追加", "添加别名"),
    "Delete alias": ("エイリアスを削除", "删除别名"),
    "Delete {n} aliases": ("{n} 件のエイリアスを削除", "删除 {n} 个别名"),
    "Owner of the alias": ("エイリアスの所有者", "别名的所有者"),
    "Edit alias": ("エイリアスを編集", "编辑别名"),
    "Belongs to": ("所属", "所属邮箱"),
    "Goes to": ("宛先", "转发至"),
    "catch-all": ("キャッチオール", "全域收件"),
    "alias or destination": ("エイリアスまたは宛先", "别名或目标地址"),
    "{n} aliases": ("{n} 件のエイリアス", "{n} 个别名"),
    "{n} selected": ("{n} 件選択", "已选 {n} 项"),
    "{names} and {n} more": ("{names} ほか {n} 件", "{names} 等另外 {n} 项"),
    "Is being removed": ("削除処理中", "正在删除"),
    "Deleted: {names}": ("削除しました: {names}", "已删除：{names}"),
    "Tried again.": ("再試行しました。", "已重试。"),
    "No alias matches. Widen the filters.": (
        "一致するエイリアスがありません。条件を広げてください。",
        "没有匹配的别名，请放宽筛选条件。",
    ),
    "No alias yet.": ("エイリアスはまだありません。", "还没有别名。"),
    "No alias yet. An alias gives a mailbox a second address, or a group one address.": (
        "エイリアスはまだありません。メールボックスに別のアドレスを、グループに共通のアドレスを与えます。",
        "还没有别名。别名可为邮箱提供第二个地址，或为一组人提供一个共用地址。",
    ),
    "{name} is saved and on the mail server.": (
        "{name} を保存し、メールサーバーに反映しました。",
        "{name} 已保存并同步到邮件服务器。",
    ),
    "{name} is saved and waits for the mail server.": (
        "{name} を保存しました。メールサーバーへの反映を待っています。",
        "{name} 已保存，正在等待同步到邮件服务器。",
    ),
    "{name} is saved, but the mail server refuses it: see its problem in the list.": (
        "{name} を保存しましたが、メールサーバーが拒否しました。一覧の「問題」を確認してください。",
        "{name} 已保存，但被邮件服务器拒绝，请查看列表中的问题。",
    ),
    "Mail to {names} is refused from then on. The mailboxes behind stay as they are.": (
        "以後 {names} 宛のメールは拒否されます。宛先のメールボックスはそのまま残ります。",
        "此后发往 {names} 的邮件将被拒收，其后的邮箱保持不变。",
    ),
    "An address, or @ and a domain for all its addresses (catch-all).": (
        "アドレス、または @ とドメイン（すべてのアドレスを受信するキャッチオール）。",
        "填写地址，或填写 @ 加域名以接收该域名的所有地址（全域收件）。",
    ),
    "this domain": ("このドメイン", "此域名"),
    "A catch-all takes the mail for every address of {domain} that is neither a mailbox nor an alias: misspelt "
    "ones, and much spam.": (
        "キャッチオールは、{domain} のうちメールボックスでもエイリアスでもない"
        "すべてのアドレス宛のメールを受け取ります。"
        "打ち間違いのほか、多くの迷惑メールも届きます。",
        "全域收件会接收 {domain} 下既不是邮箱也不是别名的所有地址的邮件：包括拼写错误的地址和大量垃圾邮件。",
    ),
    "One address per line, or separated by commas. They may be outside your domains.": (
        "1 行に 1 件、またはカンマ区切り。管理外のドメインも指定できます。",
        "每行一个地址，或用逗号分隔。可以是您的域名以外的地址。",
    ),
    "Belongs to the mailbox (optional)": ("所属メールボックス（任意）", "所属邮箱（可选）"),
    "Under which mailbox it is listed. Left empty: its destination, if that is the only one and yours.": (
        "どのメールボックスの下に表示するか。空欄の場合、宛先が 1 件で管理対象ならその宛先になります。",
        "列在哪个邮箱之下。留空时，若仅有一个目标且属于您的域名，则归于该目标。",
    ),
    "Only where it is listed changes, not where its mail goes.": (
        "一覧での所属だけが変わり、メールの宛先は変わりません。",
        "仅改变列表中的归属，不改变邮件去向。",
    ),
    "empty: nobody's": ("空欄: 所属なし", "留空：不属于任何邮箱"),
    "A catch-all is written without the star: @ and the domain.": (
        "キャッチオールは * を付けず、@ とドメインで指定します。",
        "全收地址不带星号，只写 @ 和域名。",
    ),
}
