"""Texts of the domains page."""

TEXTS = {
    "Total quota": ("合計容量", "总配额"),
    "Used": ("使用量", "已用"),
    "Add domain": ("ドメインを追加", "添加域名"),
    "Show": ("表示", "查看"),
    "Description": ("説明", "说明"),
    "Default quota": ("既定の容量", "默认配额"),
    "Default quota in MB (empty: standard, 0: no limit)": (
        "既定の容量（MB、空欄: 標準、0: 無制限）",
        "默认配额（MB，留空：标准，0：无限制）",
    ),
    "standard": ("標準", "标准"),
    "{size} (standard)": ("{size}（標準）", "{size}（标准）"),
    "For mailboxes made from now on; those that exist keep theirs.": (
        "今後作成するメールボックスに適用されます。既存のものは変わりません。",
        "适用于今后创建的邮箱，已有邮箱保持不变。",
    ),
    "Delete {name}": ("{name} を削除", "删除 {name}"),
    "{name} is added.": ("{name} を追加しました。", "已添加 {name}。"),
    "{name} is deleted.": ("{name} を削除しました。", "已删除 {name}。"),
    "{name} is forgotten here. Nothing changes on the mail server. It must be empty: no mailboxes, no aliases.": (
        "{name} をここから削除します。メールサーバーは変わりません。"
        "メールボックスもエイリアスもない状態である必要があります。",
        "将在此处删除 {name}，邮件服务器不受影响。该域名必须为空：没有邮箱，也没有别名。",
    ),
    "name or description": ("名前または説明", "名称或说明"),
    "{n} domains": ("{n} 件のドメイン", "{n} 个域名"),
    "Mailboxes of {name}": ("{name} のメールボックス", "{name} 的邮箱"),
    "Aliases of {name}": ("{name} のエイリアス", "{name} 的别名"),
    "No domain matches.": ("一致するドメインがありません。", "没有匹配的域名。"),
    "No domain yet.": ("ドメインはまだありません。", "还没有域名。"),
    "No domain yet. Add the first, or import what the mail server has on the sync page.": (
        "ドメインはまだありません。追加するか、同期ページでメールサーバーから取り込んでください。",
        "还没有域名。请添加，或在同步页面从邮件服务器导入。",
    ),
    "No mail server yet. Add one in the settings; its domains come next.": (
        "メールサーバーがまだありません。設定で追加してから、ドメインを追加してください。",
        "还没有邮件服务器。请先在设置中添加，再添加域名。",
    ),
}
