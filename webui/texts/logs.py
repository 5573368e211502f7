"""Texts of the log page."""

TEXTS = {
    "address or name begins with": ("アドレスまたは名前の先頭", "地址或名称的开头"),
    "Period": ("期間", "时段"),
    "Last 24 hours": ("過去 24 時間", "最近 24 小时"),
    "Last {n} days": ("過去 {n} 日", "最近 {n} 天"),
    "user name": ("ユーザー名", "用户名"),
    "Verify audit chain": ("監査チェーンを検証", "验证审计链"),
    "Audit chain": ("監査チェーン", "审计链"),
    "Walking the chain …": ("チェーンを確認しています…", "正在检查审计链…"),
    "Intact: {n} links.": ("正常です（{n} 件）。", "完整：{n} 个环节。"),
    "Broken at link {n}: {reason}": ("{n} 番目で破損しています: {reason}", "在第 {n} 个环节损坏：{reason}"),
    "Keep this head outside: a later check against it notices a cut or rewritten end.": (
        "この末尾値を別の場所に保管してください。後の検証で末尾の切り取りや書き換えを検出できます。",
        "请将此链头保存在系统之外：之后核对即可发现结尾被截断或改写。",
    ),
    "Duration": ("所要時間", "耗时"),
    "Address (IP)": ("IP アドレス", "IP 地址"),
    "{n} operations": ("{n} 件の操作", "{n} 项操作"),
    "Choose a row to see its command and output.": (
        "行を選択するとコマンドと出力が表示されます。",
        "选择一行以查看命令和输出。",
    ),
    "No operation matches. Widen the filters.": (
        "該当する操作がありません。絞り込みを緩めてください。",
        "没有匹配的操作，请放宽筛选条件。",
    ),
    "Mailbox": ("メールボックス", "邮箱"),
    "Alias": ("エイリアス", "别名"),
    "Mail server": ("メールサーバー", "邮件服务器"),
    "Denied access": ("拒否されたアクセス", "被拒绝的访问"),
    "Started": ("開始", "开始"),
    "Completed": ("完了", "完成"),
    "Exit code": ("終了コード", "退出码"),
    "Record": ("記録", "记录"),
}
