"""Texts of the API tokens on the settings page."""

TEXTS = {
    "API tokens": ("API トークン", "API 令牌"),
    "Make API token": ("API トークンを作成", "创建 API 令牌"),
    "Make": ("作成", "创建"),
    "Scopes": ("スコープ", "权限范围"),
    "Last used": ("最終使用", "上次使用"),
    "Until": ("有効期限", "有效期至"),
    "Made by": ("作成者", "创建者"),
    "Expired": ("期限切れ", "已过期"),
    "Revoked": ("失効", "已吊销"),
    "30 days": ("30 日", "30 天"),
    "90 days": ("90 日", "90 天"),
    "A year": ("1 年", "一年"),
    "Until it is revoked": ("失効させるまで", "直到吊销"),
    "Lives": ("有効期間", "有效期"),
    "Networks": ("ネットワーク", "网络"),
    "The log will speak of token:NAME.": ("ログには token:名前 と記録されます。", "日志中记为 token:名称。"),
    "Changing a thing includes reading it.": ("変更の権限には閲覧が含まれます。", "更改权限包含读取。"),
    "It sees and changes these only.": ("これらのみを閲覧・変更できます。", "只能查看和更改这些。"),
    "Where calls may come from; empty: anywhere.": (
        "呼び出し元のネットワーク（空欄はどこからでも）。",
        "允许的来源网络；留空为任意。",
    ),
    "The token {name}:": ("トークン {name}：", "令牌 {name}："),
    "The token {name} is revoked.": ("トークン {name} を失効させました。", "令牌 {name} 已吊销。"),
    "The program that has {name} can call no more, at once.": (
        "{name} を持つプログラムは直ちに呼び出せなくなります。",
        "持有 {name} 的程序将立即无法调用。",
    ),
    "Revoke token": ("トークンを失効", "吊销令牌"),
    "Revoke": ("失効", "吊销"),
    "No token yet. Programs need one to call the API.": (
        "トークンがまだありません。プログラムが API を呼び出すには必要です。",
        "还没有令牌。程序调用 API 需要令牌。",
    ),
    "The reference of the API is at {path}.": ("API リファレンスは {path} にあります。", "API 参考文档位于 {path}。"),
}
