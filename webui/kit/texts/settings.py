"""Texts of the settings page; also the kinds of mail server and their settings, and the rules."""

TEXTS = {
    "Part": ("区分", "部分"),
    "Operators": ("オペレーター", "操作员"),
    "Rules": ("ルール", "规则"),
    "Add": ("追加", "添加"),
    "Saved.": ("保存しました。", "已保存。"),
    "Name": ("名前", "名称"),
    "Edit {name}": ("{name} を編集", "编辑 {name}"),
    # mail servers
    "Add mail server": ("メールサーバーを追加", "添加邮件服务器"),
    "No mail server yet. Add the one whose mailboxes you want to keep here.": (
        "メールサーバーがまだありません。ここで管理するサーバーを追加してください。",
        "还没有邮件服务器，请添加要在此管理的服务器。",
    ),
    "{name} is forgotten here. Nothing changes on the mail server. It must have no domains here.": (
        "{name} はここでは登録から消えます。メールサーバーには何も変更を加えません。"
        "ここにドメインが残っていてはいけません。",
        "{name} 将从此处移除，邮件服务器上不会有任何变化。此处不得再有它的域名。",
    ),
    "Test connection": ("接続テスト", "测试连接"),
    "Asking {name} …": ("{name} に問い合わせています…", "正在询问 {name}…"),
    "{name} answers, and its settings are right.": (
        "{name} は応答し、設定は正しいです。",
        "{name} 有响应，且设置正确。",
    ),
    "Kind": ("種類", "类型"),
    "Last read": ("最終読み取り", "上次读取"),
    "Accounts": ("アカウント", "账户"),
    "Problem": ("問題", "问题"),
    "mail, headquarters …": ("mail、本社 など", "mail、总部 等"),
    "The mail server {name} is added. Test its connection now.": (
        "メールサーバー {name} を追加しました。接続をテストしてください。",
        "已添加邮件服务器 {name}。请测试连接。",
    ),
    "Quiet time in seconds (empty: automatic)": ("待ち時間（秒、空欄は自動）", "静默时间（秒，留空为自动）"),
    "automatic": ("自動", "自动"),
    "Changes within the quiet time go out together, which spares the mail server.": (
        "待ち時間内の変更はまとめて送られ、メールサーバーの負担を減らします。",
        "静默时间内的更改会一并发送，以减轻邮件服务器负担。",
    ),
    "More settings": ("その他の設定", "更多设置"),
    "docker-mailserver, by its config volume": (
        "docker-mailserver（設定ボリューム経由）",
        "docker-mailserver（通过配置卷）",
    ),
    "docker-mailserver, by docker exec": (
        "docker-mailserver（docker exec 経由）",
        "docker-mailserver（通过 docker exec）",
    ),
    "folder that is mounted at /tmp/docker-mailserver": (
        "コンテナーの /tmp/docker-mailserver にマウントされるフォルダー",
        "挂载到 /tmp/docker-mailserver 的目录",
    ),
    "name of its container, or a label of it as key=value": (
        "コンテナー名、または key=value 形式のラベル",
        "容器名称，或 key=value 形式的标签",
    ),
    "unix:///…, tcp://host:port or ssh://user@host; empty: DOCKER_HOST, else the local socket": (
        "unix:///…、tcp://host:port または ssh://user@host。空欄は DOCKER_HOST、なければローカルソケット",
        "unix:///…、tcp://host:port 或 ssh://user@host；留空则用 DOCKER_HOST，否则用本地套接字",
    ),
    "folder with ca.pem, cert.pem and key.pem, for tcp:// with TLS": (
        "TLS を使う tcp:// 用の ca.pem、cert.pem、key.pem があるフォルダー",
        "用于 TLS 的 tcp://：包含 ca.pem、cert.pem 和 key.pem 的目录",
    ),
    "how long usage and the state of services are remembered; empty: 60": (
        "使用量とサービス状態を保持する秒数（空欄は 60）",
        "用量和服务状态的缓存秒数（留空为 60）",
    ),
    "where people log in, for checking a password": (
        "パスワード確認に使う IMAP ホスト",
        "用于验证密码的 IMAP 主机",
    ),
    "its port; 993 if not said": ("ポート（省略時 993）", "端口（默认 993）"),
    "tls (default), starttls or none": ("tls（既定）、starttls、none", "tls（默认）、starttls 或 none"),
    "false: accept any certificate": ("false: 証明書を検証しない", "false：接受任何证书"),
    # operators
    "Add operator": ("オペレーターを追加", "添加操作员"),
    "Reset password": ("パスワードを再設定", "重置密码"),
    "Unlock": ("ロック解除", "解锁"),
    "End sessions": ("セッションを終了", "结束会话"),
    "Disable": ("無効にする", "停用"),
    "Enable": ("有効にする", "启用"),
    "{name} may try again.": ("{name} は再びサインインできます。", "{name} 可以再次尝试登录。"),
    "{name} is signed out everywhere.": (
        "{name} をすべての端末からサインアウトしました。",
        "{name} 已在所有设备退出。",
    ),
    "{n} operators": ("{n} 人のオペレーター", "{n} 位操作员"),
    "Role": ("役割", "角色"),
    "Locked": ("ロック中", "已锁定"),
    "Last sign-in": ("最終サインイン", "上次登录"),
    "all": ("すべて", "全部"),
    "none": ("なし", "无"),
    "Choose domains": ("ドメインを選択", "选择域"),
    "What a domain admin works on. A viewer sees these only; empty: all.": (
        "ドメイン管理者が扱うドメイン。閲覧者にはこれらだけが表示され、空欄ならすべて表示されます。",
        "域管理员管理的域。只读用户仅能查看这些域；留空则可查看全部。",
    ),
    "Own mailbox": ("本人のメールボックス", "本人邮箱"),
    "Nobody of a lower role can change it.": (
        "下位の役割の人はこのメールボックスを変更できません。",
        "角色较低的人无法更改该邮箱。",
    ),
    "{name} gets a one-time password, and is signed out everywhere.": (
        "{name} にワンタイムパスワードを発行し、すべての端末からサインアウトします。",
        "将为 {name} 生成一次性密码，并使其在所有设备退出。",
    ),
    "Make one-time password": ("ワンタイムパスワードを発行", "生成一次性密码"),
    # rules
    "Rule": ("ルール", "规则"),
    "Value": ("値", "值"),
    "Variable": ("環境変数", "环境变量"),
    "From": ("出所", "来源"),
    "Default": ("既定値", "默认值"),
    "Default: {value}": ("既定値: {value}", "默认：{value}"),
    "Set here": ("ここで設定", "在此设置"),
    "Environment": ("環境変数", "环境"),
    "on": ("オン", "开"),
    "off": ("オフ", "关"),
    "Edit rules": ("ルールを編集", "编辑规则"),
    "Back to defaults": ("既定値に戻す", "恢复默认值"),
    "The rules are saved.": ("ルールを保存しました。", "规则已保存。"),
    "The rules are as the environment or the product says.": (
        "ルールを環境変数または製品の既定値に戻しました。",
        "规则已恢复为环境变量或产品的默认值。",
    ),
    "What was set here is forgotten:": (
        "ここで設定した値は破棄されます。",
        "在此设置的值将被清除：",
    ),
    "What is left empty is as the environment or the product says. Changes hold at once, for everybody.": (
        "空欄の項目は環境変数または製品の既定値になります。変更は全員にすぐ適用されます。",
        "留空的项目采用环境变量或产品的默认值。更改立即对所有人生效。",
    ),
    "Passwords: {hint}": ("パスワード: {hint}", "密码：{hint}"),
    "Set in the environment": ("環境変数で設定", "在环境变量中设置"),
    "These take effect when the server is started anew.": (
        "これらはサーバーの再起動後に有効になります。",
        "这些在服务器重启后生效。",
    ),
    "Passwords": ("パスワード", "密码"),
    "New mailboxes": ("新しいメールボックス", "新邮箱"),
    "Failed changes": ("失敗した変更", "失败的更改"),
    "Automatic import": ("自動取り込み", "自动导入"),
    "Fewest characters": ("最小文字数", "最少字符数"),
    "Most characters": ("最大文字数", "最多字符数"),
    "Kinds of characters": ("文字の種類", "字符种类"),
    "Tries": ("試行回数", "尝试次数"),
    "First pause (seconds)": ("最初の待ち時間（秒）", "首次等待（秒）"),
    "Longest pause (seconds)": ("最長の待ち時間（秒）", "最长等待（秒）"),
    "Import by itself": ("自動で取り込む", "自动导入"),
    "Interval (seconds)": ("間隔（秒）", "间隔（秒）"),
    "fewest characters of a password": ("パスワードの最小文字数", "密码的最少字符数"),
    "most characters of a password": ("パスワードの最大文字数", "密码的最多字符数"),
    "kinds of characters a password needs, of four": (
        "パスワードに必要な文字の種類数（4 種類中）",
        "密码所需的字符种类数（共四种）",
    ),
    "Your session ends at {time}.": ("セッションは {time} に終了します。", "您的会话将于 {time} 结束。"),
    "tries of one change before it is FAILED": ("変更が失敗となるまでの試行回数", "更改判定为失败前的尝试次数"),
    "first pause after a failed try; doubles each time": (
        "失敗後の最初の待ち秒数（毎回 2 倍）",
        "失败后的首次等待秒数（每次加倍）",
    ),
    "longest pause between tries": ("試行間の最長待ち秒数", "两次尝试之间的最长等待秒数"),
    "longest a page waits for the mail server": (
        "ページがメールサーバーを待つ最長秒数",
        "页面等待邮件服务器的最长秒数",
    ),
    "quota of a new mailbox where its domain says nothing; 0: none": (
        "新しいメールボックスの既定容量（MB、0 は無制限）",
        "新邮箱的默认配额（MB，0 为无限制）",
    ),
    "a sign-in ends after this long without a click": (
        "操作がない場合にサインインが終了するまでの分数",
        "无操作多少分钟后登录失效",
    ),
    "a sign-in ends after this long in any case": ("サインインの最長時間", "登录的最长小时数"),
    "wrong passwords in a row that lock an account name": (
        "アカウント名をロックするまでの連続失敗回数",
        "锁定账户名的连续错误密码次数",
    ),
    "wrong passwords from one address that lock it out": (
        "同一 IP アドレスを締め出すまでの失敗回数",
        "锁定某一 IP 地址的错误密码次数",
    ),
    "how long a lock lasts, and how long failures count": (
        "ロックの長さと失敗を数える期間（分）",
        "锁定时长及失败计数的时间窗（分钟）",
    ),
    "cost of bcrypt for the passwords of operators": (
        "操作者のパスワードに使う bcrypt のコスト",
        "操作员密码所用 bcrypt 的代价",
    ),
    "import what was made on the server behind our back, by itself": (
        "サーバー側で直接作られた項目を自動で取り込む",
        "自动导入在服务器上直接创建的项目",
    ),
    "seconds between two such imports": ("自動取り込みの間隔（秒）", "自动导入的间隔秒数"),
    "networks that may use this, e.g. 10.0.0.0/8 192.0.2.7; empty: all": (
        "利用を許可するネットワーク（例 10.0.0.0/8 192.0.2.7、空欄はすべて）",
        "允许访问的网络，例如 10.0.0.0/8 192.0.2.7；留空为全部",
    ),
    "networks of proxies whose X-Forwarded-For is believed; empty: none": (
        "X-Forwarded-For を信頼するプロキシーのネットワーク（空欄はなし）",
        "信任其 X-Forwarded-For 的代理网络（留空为无）",
    ),
    "calls of the API by one token, and by one address": (
        "1 分あたりの API 呼び出し数（トークンごと、アドレスごと）",
        "每分钟 API 调用次数（每个令牌、每个地址）",
    ),
    "password checks by one token, and of one mailbox": (
        "1 分あたりのパスワード確認数（トークンごと、メールボックスごと）",
        "每分钟密码验证次数（每个令牌、每个邮箱）",
    ),
    "config volume of the mail server that is set up at first start": (
        "初回起動時に設定するメールサーバーの設定ボリューム",
        "首次启动时设置的邮件服务器的配置卷",
    ),
    "or its container, to work by docker exec": (
        "またはそのコンテナー（docker exec で操作）",
        "或其容器（通过 docker exec 操作）",
    ),
    "file with the password that goes into the URL": (
        "URL に入れるパスワードのファイル",
        "存放 URL 中密码的文件",
    ),
    "deliver in the background of this process; false where workers do it": (
        "このプロセスのバックグラウンドで反映する（ワーカーが行う場合は false）",
        "在此进程后台下发；由工作进程负责时为 false",
    ),
    "how the server's log is written: text or json": (
        "サーバーログの形式（text または json）",
        "服务器日志的格式：text 或 json",
    ),
    "older records of the provision log are moved to a file; 0: never": (
        "古い操作記録をファイルに移すまでの日数（0 は移さない）",
        "操作日志旧记录移至文件前的天数；0 为从不",
    ),
}
