import os

os.environ["POSTROOM_ENV_FILE"] = ""  # nor in what the tests start: the developer's own `.env` is no part of them
