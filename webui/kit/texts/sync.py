"""Texts of the sync page."""

TEXTS = {
    # what waits
    "Waiting": ("待機中", "等待中"),
    "Compare": ("比較", "比较"),
    "Attempts": ("試行", "尝试"),
    "Next attempt": ("次回の試行", "下次尝试"),
    "Next attempt {ago}": ("次回の試行 {ago}", "下次尝试：{ago}"),
    "when you retry": ("再試行時", "手动重试时"),
    "shortly": ("まもなく", "即将"),
    "Retry all": ("すべて再試行", "全部重试"),
    "To be deleted": ("削除予定", "待删除"),
    "{n} waiting": ("{n} 件待機中", "{n} 项等待中"),
    "{n} pending": ("保留 {n} 件", "待同步 {n} 项"),
    "{n} failed": ("失敗 {n} 件", "失败 {n} 项"),
    "{done} of {n} are done on the mail server.": (
        "{n} 件中 {done} 件がメールサーバーに反映されました。",
        "{n} 项中有 {done} 项已在邮件服务器上完成。",
    ),
    "{name} is done on the mail server.": (
        "{name} はメールサーバーに反映されました。",
        "{name} 已在邮件服务器上完成。",
    ),
    "{name} is not done yet; the list says why.": (
        "{name} はまだ反映されていません。理由は一覧にあります。",
        "{name} 尚未完成，原因见列表。",
    ),
    "Tried again; still waiting: {n}.": ("再試行しました。待機中: {n} 件。", "已重试，仍在等待：{n} 项。"),
    "Tried again; nothing waits any more.": ("再試行しました。待機中の項目はありません。", "已重试，没有等待项了。"),
    "Gathers changes until {time}": ("{time} まで変更をまとめています", "正在汇集更改，直到 {time}"),
    # the alarm
    "Halted: {name}": ("停止中: {name}", "已暂停：{name}"),
    "So much missing at once is nearly always a wrong folder, a volume that is not mounted, or the wrong container. "
    "To send anything now could make a mistake final, so all changes wait. "
    "The alarm ends by itself when the entries are back.": (
        "一度にこれほど失われるのは、ほとんどの場合、"
        "フォルダーの間違い、ボリュームの未マウント、またはコンテナの間違いです。"
        "今送信すると誤りが確定するおそれがあるため、すべての変更を保留しています。エントリーが戻れば自動的に解除されます。",
        "一次缺少这么多条目，几乎都是因为目录错误、卷未挂载或容器错误。现在发送可能会使错误无法挽回，"
        "因此所有更改都在等待。条目恢复后，警报会自动解除。",
    ),
    "See what is missing": ("不足分を見る", "查看缺少的条目"),
    "Send all the same …": ("それでも送信…", "仍然发送…"),
    "Send all the same": ("それでも送信", "仍然发送"),
    "Send to {name} all the same": ("それでも {name} に送信", "仍然发送到 {name}"),
    "Only a super admin can send all the same.": (
        "それでも送信できるのは全体管理者だけです。",
        "只有超级管理员可以强制发送。",
    ),
    "{reason}\n\nWhat waits to be deleted is deleted there, what waits to be written is written, over whatever "
    "is there now. Mailboxes that are missing there do not come back by this. It is recorded under your name.": (
        "{reason}\n\n削除待ちの項目はサーバーから削除され、書き込み待ちの項目は現在の内容に上書きされます。"
        "不足しているメールボックスはこれでは戻りません。あなたの名前で記録されます。",
        "{reason}\n\n等待删除的项目将在服务器上删除，等待写入的项目将覆盖服务器上的现有内容。"
        "缺少的邮箱不会因此恢复。此操作将以您的名义记录。",
    ),
    "{n} delivered.": ("{n} 件を反映しました。", "已同步 {n} 项。"),
    "{n} delivered, {failed} refused.": (
        "{n} 件を反映し、{failed} 件が拒否されました。",
        "已同步 {n} 项，被拒绝 {failed} 项。",
    ),
    # the comparison
    "Preview": ("プレビュー", "预览"),
    "Import": ("取り込む", "导入"),
    "Import …": ("取り込み…", "导入…"),
    "part of the address": ("アドレスの一部", "地址的一部分"),
    "Preview reads the mail server and shows what a push would do, and where the two sides differ.": (
        "プレビューはメールサーバーを読み取り、送信で何が行われるか、双方のどこが異なるかを表示します。",
        "预览会读取邮件服务器，显示推送将执行的操作以及双方的差异。",
    ),
    "Both sides are the same. There is nothing to send.": (
        "双方は一致しています。送信するものはありません。",
        "双方一致，没有需要发送的内容。",
    ),
    "Nothing matches.": ("一致するものがありません。", "没有匹配项。"),
    "Reading {name} …": ("{name} を読み取っています…", "正在读取 {name}…"),
    "Sending …": ("送信しています…", "正在发送…"),
    "Found": ("検出", "发现"),
    "Clashes": ("競合", "冲突"),
    "Differs": ("相違", "不一致"),
    "Unknown here": ("未登録", "此处未知"),
    "Gone there": ("サーバーにない", "服务器上已缺失"),
    "To create": ("作成予定", "待创建"),
    "To change": ("変更予定", "待更改"),
    "To delete": ("削除予定", "待删除"),
    "Unsupported": ("非対応", "不支持"),
    "Left alone": ("対象外", "不予处理"),
    "Ours waits to be created, but somebody else has made an entry with this address on the mail server.": (
        "作成を待っていますが、メールサーバーに別の人が同じアドレスのエントリーを作成しています。",
        "我方条目等待创建，但邮件服务器上已有他人创建的同名地址。",
    ),
    "Changed on the mail server since the dashboard delivered it.": (
        "ダッシュボードが反映した後に、メールサーバー側で変更されました。",
        "控制台同步之后，在邮件服务器上被更改。",
    ),
    "On the mail server, and not known to the dashboard. It stays until somebody decides.": (
        "メールサーバーにあり、ダッシュボードには登録されていません。決定するまでそのまま残ります。",
        "存在于邮件服务器，但控制台未知。在有人决定之前保持不变。",
    ),
    "Known to the dashboard, and gone from the mail server. Nothing is deleted here because of that.": (
        "ダッシュボードに登録されていますが、メールサーバーから失われています。これによりここで削除されることはありません。",
        "控制台中存在，但邮件服务器上已缺失。此处不会因此删除任何内容。",
    ),
    "The next push creates these.": ("次回の送信で作成されます。", "下次推送将创建这些条目。"),
    "The next push changes these.": ("次回の送信で変更されます。", "下次推送将更改这些条目。"),
    "The next push deletes these.": ("次回の送信で削除されます。", "下次推送将删除这些条目。"),
    "Wanted, but this kind of mail server cannot do it; the rest of the entry is delivered.": (
        "この種類のメールサーバーでは実現できません。エントリーの残りは反映されます。",
        "此类邮件服务器无法实现该项，条目的其余部分会同步。",
    ),
    "Lines on the mail server that the dashboard cannot manage and never touches.": (
        "ダッシュボードが管理できず、変更することもないメールサーバー上の行です。",
        "邮件服务器上控制台无法管理、也绝不改动的行。",
    ),
    "Entry": ("エントリー", "条目"),
    "What": ("項目", "项目"),
    "Dashboard": ("ダッシュボード", "控制台"),
    "Quota": ("容量", "配额"),
    "Message quota": ("メッセージ数上限", "邮件数配额"),
    "Login": ("ログイン", "登录"),
    "Account": ("アカウント", "账户"),
    "{n} messages": ("{n} 通", "{n} 封邮件"),
    "new password": ("新しいパスワード", "新密码"),
    "present password": ("現在のパスワード", "现有密码"),
    "login open": ("ログイン可", "可登录"),
    "login closed": ("ログイン不可", "禁止登录"),
    "{n} in total": ("合計 {n} 件", "共 {n} 项"),
    "the first {n} of {total} entries; search to see others": (
        "{total} 件中、最初の {n} 件。他は検索で表示できます",
        "{total} 项中的前 {n} 项，其余请搜索",
    ),
    # deciding
    "Dashboard wins": ("ダッシュボードを優先", "以控制台为准"),
    "Server wins": ("サーバーを優先", "以服务器为准"),
    "All: dashboard wins": ("すべてダッシュボード優先", "全部以控制台为准"),
    "All: server wins": ("すべてサーバー優先", "全部以服务器为准"),
    "{side}: all {n} differences": ("{side}: 全 {n} 件の相違", "{side}：全部 {n} 项差异"),
    "Send all now": ("今すぐすべて送信", "立即全部发送"),
    "Remove from server …": ("サーバーから削除…", "从服务器删除…"),
    "Make anew": ("作り直す", "重新创建"),
    "Forget here …": ("ここから削除…", "在此处移除…"),
    "Settled: {n}.": ("解決しました: {n} 件。", "已处理：{n} 项。"),
    "The values on the mail server are overwritten with ours.": (
        "メールサーバーの値はダッシュボードの値で上書きされます。",
        "邮件服务器上的值将被我方的值覆盖。",
    ),
    "Our values are replaced by those of the mail server.": (
        "ダッシュボードの値はメールサーバーの値に置き換えられます。",
        "我方的值将被邮件服务器的值替换。",
    ),
    "The entry on the mail server becomes ours: whoever uses it loses his password and his settings, not his mail.": (
        "メールサーバーのエントリーを引き継ぎます。使用者のパスワードと設定は失われますが、メールは残ります。",
        "邮件服务器上的条目将归我方所有：使用者会失去其密码和设置，但不会失去邮件。",
    ),
    "Our values are replaced by those of the mail server, and the password that was given here is dropped.": (
        "ダッシュボードの値はメールサーバーの値に置き換えられ、ここで設定したパスワードは破棄されます。",
        "我方的值将被邮件服务器的值替换，此处设置的密码将被丢弃。",
    ),
    "They are listed here from now on. Nothing changes on the mail server.": (
        "以後ここに表示されます。メールサーバーは変わりません。",
        "此后将在此处列出，邮件服务器不受影响。",
    ),
    "The accounts are deleted on the mail server: nobody can log in or receive mail there any more, and the "
    "passwords are lost. Mail that is stored stays on the disk.": (
        "メールサーバーからアカウントを削除します。ログインも受信もできなくなり、パスワードは失われます。保存済みのメールはディスクに残ります。",
        "将在邮件服务器上删除这些账户：无法再登录或收信，密码将丢失。已存储的邮件仍保留在磁盘上。",
    ),
    "Aliases are written again. A mailbox needs a new password for that: reset it on the mailboxes page.": (
        "エイリアスは再度書き込まれます。メールボックスには新しいパスワードが必要です。メールボックスページで再設定してください。",
        "别名将重新写入。邮箱需要新密码才能重建：请在邮箱页面重置密码。",
    ),
    "They are removed from the dashboard with name, quota and settings. Only the log remembers them.": (
        "名前・容量・設定とともにダッシュボードから削除されます。記録はログにのみ残ります。",
        "将连同名称、配额和设置一起从控制台移除，仅日志中保留记录。",
    ),
    # importing
    "Import from {name}": ("{name} から取り込む", "从 {name} 导入"),
    "What is on the mail server and unknown here is added here. Nothing changes on the mail server.": (
        "メールサーバーにあってここに未登録のものを追加します。メールサーバーは変わりません。",
        "邮件服务器上有而此处未知的条目将添加到此处，邮件服务器不受影响。",
    ),
    "Where both have an entry and differ, the server wins": (
        "双方にあって異なる場合はサーバーを優先",
        "双方都有且不一致时，以服务器为准",
    ),
    "Our values of those entries are replaced; what waits for them, also a new password, is dropped.": (
        "それらの値は置き換えられ、待機中の変更（新しいパスワードを含む）は破棄されます。",
        "这些条目的我方值将被替换，等待中的更改（包括新密码）将被丢弃。",
    ),
    "Imported: {n}.": ("取り込み: {n} 件。", "已导入：{n} 项。"),
    "Took the server's values: {n}.": ("サーバーの値を採用: {n} 件。", "采用服务器的值：{n} 项。"),
    "Left alone: {n}.": ("対象外: {n} 件。", "未处理：{n} 项。"),
    "Gone from the mail server: {n}.": ("メールサーバーにない: {n} 件。", "邮件服务器上缺失：{n} 项。"),
    "What was left alone, and why": ("対象外の項目と理由", "未处理的条目及原因"),
    "and {n} more": ("ほか {n} 件", "另有 {n} 项"),
    "What a push costs: docker-mailserver ends open IMAP connections for a moment, and refuses logins "
    "while it rebuilds its user list, about 20 seconds at 1,000 accounts. So changes are sent together.": (
        "送信の影響: docker-mailserver は IMAP 接続を一時的に切断し、ユーザー一覧の再構築中"
        "（1,000 アカウントで約 20 秒）はログインを拒否します。"
        "そのため変更はまとめて送信されます。",
        "推送的代价：docker-mailserver 会短暂断开 IMAP 连接，并在重建用户列表期间拒绝登录（1,000 个账户约 20 秒）。"
        "因此更改会合并发送。",
    ),
}
