"""All settings of the hub, read from the environment; docs/operations.md lists them."""

import logging
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from hub.console import sidebar
from hub.startup.environment import NEW_KEY, Environment

BASE_DIR = Path(__file__).resolve().parent.parent
FLEXHUB_DATA = Path(os.environ.get("FLEXHUB_DATA", BASE_DIR / ".data"))
env = Environment(FLEXHUB_DATA / "services.env")


def _secret_key() -> str:
    """SECRET_KEY, or the one in FLEXHUB_DATA, which the first `manage.py migrate` makes (0600)."""
    if "SECRET_KEY" in os.environ or "SECRET_KEY_FILE" in os.environ:
        return env.text("SECRET_KEY")
    path = FLEXHUB_DATA / "secret.key"
    if path.is_file():
        key = path.read_text().strip()
        if not key:
            raise ImproperlyConfigured(f"{path} is empty; restore it from a backup.")
        return key
    is_told_where = "DATABASE_URL" in os.environ or "DATABASE_URL_FILE" in os.environ
    if not (is_told_where and NEW_KEY in os.environ):
        # A key that was made here would be another one than the hub's.
        raise ImproperlyConfigured(
            f"no hub was ever started with the data folder {FLEXHUB_DATA}. Start it "
            "(script/server), or say which folder is the hub's with FLEXHUB_DATA."
        )
    return _made(path)


def _made(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another one has made it this moment
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def _former_keys() -> list[str]:
    """Those that `manage.py rotate_keys --new` has replaced in FLEXHUB_DATA, the newest first."""
    path = FLEXHUB_DATA / "former.keys"
    return path.read_text().split() if path.is_file() else []


# --- Who the hub is ----------------------------------------------------------------------------
HUB_COUNTRY_CODE = env.text("HUB_COUNTRY_CODE", "NL")
HUB_PARTY_ID = env.text("HUB_PARTY_ID", "HUB")
HUB_NAME = env.text("HUB_NAME", "Flexhub")
PORT = env.integer("PORT", 8000, least=1)
# What parties are told to call. Unset means a trial on this machine.
PUBLIC_URL = env.text("PUBLIC_URL", "").rstrip("/")
IS_TRIAL = not PUBLIC_URL
BASE_URL = PUBLIC_URL or f"http://127.0.0.1:{PORT}"
if urlsplit(BASE_URL).scheme not in {"http", "https"} or not urlsplit(BASE_URL).hostname:
    raise ImproperlyConfigured(f"PUBLIC_URL={PUBLIC_URL!r} is not an absolute http(s) URL.")

# Proxies that are believed whom they name in X-Forwarded-For (hub/fairness/callers.py).
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

# --- Rules between parties ---------------------------------------------------------------------
# Open hub: every pair of parties may exchange unless closed; contract hub: only pairs opened.
AGREEMENTS_OPEN_BY_DEFAULT = env.flag("AGREEMENTS_OPEN_BY_DEFAULT", True)
# A platform may bring parties beyond its invitation: taken when free, or PLANNED until agreed.
ACCEPT_UNINVITED_PARTIES = env.flag("ACCEPT_UNINVITED_PARTIES", True)
MAX_UNINVITED_PARTIES = env.integer("MAX_UNINVITED_PARTIES", 50)
# Without an agreement the eMSP of the token may act as FSP; set this to demand agreements always.
FSP_AGREEMENT_REQUIRED = env.flag("FSP_AGREEMENT_REQUIRED", False)
# An FSP that has to react, and sends no profile for so long, is silent (flex/life/silence.py).
FSP_SILENCE = env.number("FSP_SILENCE", 300)
# Seconds: how long an FSP may be OFFLINE; for how long one that has failed a session is left out of
# the choice of its FSP.
FSP_OFFLINE_GRACE = env.number("FSP_OFFLINE_GRACE", 120)
FSP_LEFT_OUT = env.number("FSP_LEFT_OUT", 900)

# --- The flex API ------------------------------------------------------------------------------
# Requests a second that a web process takes of one key.
FLEX_REQUESTS_PER_SECOND = env.integer("FLEX_REQUESTS_PER_SECOND", 20, least=1)
# The longest that a driver's key may live.
FLEX_DRIVER_KEY_HOURS = env.integer("FLEX_DRIVER_KEY_HOURS", 24, least=1)

# --- Calls to other platforms ------------------------------------------------------------------
ALLOW_PRIVATE_URLS = env.flag("ALLOW_PRIVATE_URLS", IS_TRIAL)
ALLOW_HTTP_URLS = env.flag("ALLOW_HTTP_URLS", IS_TRIAL)
CONNECT_TIMEOUT = env.number("CONNECT_TIMEOUT", 5)
# Names of hosts that are looked up at the same time for one platform, per process.
NAMES_PER_PLATFORM = env.integer("NAMES_PER_PLATFORM", 4, least=1)
FORWARD_TIMEOUT = env.number("FORWARD_TIMEOUT", 30)
# How long the eMSPs may take to say whether they issued a Token that the hub does not know.
AUTHORIZE_TIMEOUT = env.number("AUTHORIZE_TIMEOUT", 10)
# How many of them are asked at the same time.
AUTHORIZE_AT_ONCE = env.integer("AUTHORIZE_AT_ONCE", 100, least=1)
# Unanswered forwarded messages to one platform, per web process: more are refused with 4003.
FORWARDS_PER_RECEIVER = env.integer("FORWARDS_PER_RECEIVER", 1500, least=1)
# What one platform may have in a web process on each lane (hub/fairness/lanes.py): beyond it GETs
# are refused with 429, pushes and results wait, so many and so long, and then are refused.
IN_HAND_PER_PLATFORM = env.integer("IN_HAND_PER_PLATFORM", 100, least=1)
WAITING_PER_PLATFORM = env.integer("WAITING_PER_PLATFORM", 1000)
WAITING_SECONDS = env.number("WAITING_SECONDS", 5)
# Requests a second that a web process takes of one platform; 0: no limit. A platform may have its
# own.
REQUESTS_PER_SECOND = env.integer("REQUESTS_PER_SECOND", 0)
# A body has to be whole by then, however it dribbles.
BODY_TIMEOUT = env.number("BODY_TIMEOUT", 30)
MAX_BODY_BYTES = env.integer("MAX_BODY_BYTES", 1_000_000, least=1000)
MAX_ANSWER_BYTES = env.integer("MAX_ANSWER_BYTES", 20_000_000, least=1000)
# For anything except a GET: a code, a message, perhaps an object.
MAX_PUSH_ANSWER_BYTES = env.integer("MAX_PUSH_ANSWER_BYTES", 1_000_000, least=1000)
# Bodies and answers of one platform that a web process has in memory at the same time; a half of
# it between two platforms.
BYTES_PER_PLATFORM = env.integer("BYTES_PER_PLATFORM", 64_000_000, least=1000)
# Who reads nearly nothing of an answer for so long is not waited for (hub/gateway/http_server.py).
WRITE_TIMEOUT = env.number("WRITE_TIMEOUT", 20)
STILL_ALIVE_AFTER = env.number("STILL_ALIVE_AFTER", 300)
# A result may come until this long after the command's end (RESERVE_NOW's URL is used twice).
CALLBACK_VALID_DAYS = env.integer("CALLBACK_VALID_DAYS", 30, least=1)
PROFILE_RESULT_MAX_WAIT = env.number("PROFILE_RESULT_MAX_WAIT", 600)
PROFILE_CALLS_PER_RECEIVER = env.integer("PROFILE_CALLS_PER_RECEIVER", 16, least=1)

# --- The message record ------------------------------------------------------------------------
RECORD_MESSAGES = env.flag("RECORD_MESSAGES", True)
MESSAGES_KEPT_DAYS = env.integer("MESSAGES_KEPT_DAYS", 14, least=1)
# A span of each message to an OpenTelemetry collector (hub/record/traces.py).
TRACES = env.flag("TRACES", False)
if TRACES:
    env.package("TRACES", "opentelemetry-exporter-otlp-proto-http", "requirements-traces.txt")
# What Prometheus presents at /metrics; see hub/monitoring/metrics.py for who may read it without.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")

# --- Alerts (hub/monitoring/alerts/) -------------------------------------------------------------
# Hosts of an operator's own that may be told of alerts in a private network, and in plain http.
ALERT_LOCAL_HOSTS = frozenset(
    host.strip().lower() for host in env.text("ALERT_LOCAL_HOSTS", "").split(",") if host.strip()
)
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.integer("EMAIL_PORT", 25, least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
# STARTTLS, or TLS from the first byte.
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", False)
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "flexhub@localhost")

# --- How long what is stored is kept, in days; 0: always (hub/keeping/retention.py) --------------
# Billing: what CPOs and eMSPs may have to prove to a tax office, ten years in many countries.
CDRS_KEPT_DAYS = env.integer("CDRS_KEPT_DAYS", 3653)
# Long enough for a dispute about a bill; what a driver did is told for no longer than that.
SESSIONS_KEPT_DAYS = env.integer("SESSIONS_KEPT_DAYS", 180)
PREFERENCES_KEPT_DAYS = env.integer("PREFERENCES_KEPT_DAYS", 180)
PROFILE_COMMANDS_KEPT_DAYS = env.integer("PROFILE_COMMANDS_KEPT_DAYS", 180)
# Only Tokens that are not valid any more: every CPO has long heard of it.
TOKENS_KEPT_DAYS = env.integer("TOKENS_KEPT_DAYS", 365)
# After its expiry_date nothing can be cancelled.
RESERVATIONS_KEPT_DAYS = env.integer("RESERVATIONS_KEPT_DAYS", 30)
DELIVERIES_KEPT_DAYS = env.integer("DELIVERIES_KEPT_DAYS", 14)
DELETIONS_KEPT_DAYS = env.integer("DELETIONS_KEPT_DAYS", 365)
DEVIATIONS_KEPT_DAYS = env.integer("DEVIATIONS_KEPT_DAYS", 90)
# The database lets go of no entry of the audit trail that is younger than a year.
AUDIT_KEPT_DAYS = env.integer("AUDIT_KEPT_DAYS", 366)
# What is new of a party is refused beyond so many (hub/models/quotas.py); 0: no limit. An operator
# may give a party a quota of its own.
MAX_LOCATIONS_PER_PARTY = env.integer("MAX_LOCATIONS_PER_PARTY", 200_000)
MAX_TARIFFS_PER_PARTY = env.integer("MAX_TARIFFS_PER_PARTY", 50_000)
MAX_TOKENS_PER_PARTY = env.integer("MAX_TOKENS_PER_PARTY", 5_000_000)
MAX_SESSIONS_PER_PARTY = env.integer("MAX_SESSIONS_PER_PARTY", 10_000_000)
MAX_CDRS_PER_PARTY = env.integer("MAX_CDRS_PER_PARTY", 50_000_000)
MAX_URLS_PER_PARTY = env.integer("MAX_URLS_PER_PARTY", 200_000)

# --- Deliveries: pushes that the hub owes --------------------------------------------------------
# Objects of one receiver that are on their way to it at the same time.
DELIVERY_LANES = env.integer("DELIVERY_LANES", 10, least=1)
# Open calls of one drain; beyond half of them each receiver only has its even part of the rest.
DELIVERY_OPEN_CALLS = env.integer("DELIVERY_OPEN_CALLS", 1000, least=2)
DELIVERY_TIMEOUT = env.number("DELIVERY_TIMEOUT", 10)
# The longest pause that a receiver's Retry-After is granted.
DELIVERY_MAX_PAUSE = env.number("DELIVERY_MAX_PAUSE", 30)
# Pushes a second to one platform; 0: no limit. A platform may have a limit of its own.
PUSHES_PER_SECOND = env.integer("PUSHES_PER_SECOND", 0)
# Bodies of messages that were given up, kept for one receiver; the oldest go first.
RESEND_BYTES_PER_RECEIVER = env.integer("RESEND_BYTES_PER_RECEIVER", 50_000_000)
# Broadcasts are refused with 3000 while nobody has delivered what waits for this long.
BACKLOG_MAX_SECONDS = env.number("BACKLOG_MAX_SECONDS", 30)

# --- Fetching the lists of parties that do not push -----------------------------------------------
PULL_EVERY = env.number("PULL_EVERY", 3600)
# A party that has pushed a module within this many days is not asked for it (see also the console).
PULL_SILENT_DAYS = env.number("PULL_SILENT_DAYS", 7)
# So often the whole list is read again, which also finds the Tariffs that are gone.
PULL_FULL_DAYS = env.number("PULL_FULL_DAYS", 7)
PULL_LIMIT = env.integer("PULL_LIMIT", 500, least=1)
# Between two pages of one platform.
PULL_PAUSE = env.number("PULL_PAUSE", 0.1)
# First pulls are spread over this many seconds, later ones over a tenth of PULL_EVERY.
PULL_SPLAY = env.number("PULL_SPLAY", 30)
# What changed so long before the last one is asked for again: an owner's clock, and its commits.
PULL_OVERLAP = env.number("PULL_OVERLAP", 600)

# --- Backups by the clock (hub/backup/) -----------------------------------------------------------
# A folder, or s3://bucket/prefix; empty: none are made by the clock.
BACKUP_TO = env.text("BACKUP_TO", "").rstrip("/")
BACKUP_EVERY = env.number("BACKUP_EVERY", 86_400)
# Older ones are removed, but never the last three; 0: always kept.
BACKUPS_KEPT_DAYS = env.integer("BACKUPS_KEPT_DAYS", 14)
# A public key of age: who has its private half alone can read a backup.
BACKUP_AGE_RECIPIENT = env.text("BACKUP_AGE_RECIPIENT", "")
BACKUP_S3_ENDPOINT = env.text("BACKUP_S3_ENDPOINT", "https://s3.amazonaws.com").rstrip("/")
BACKUP_S3_REGION = env.text("BACKUP_S3_REGION", "us-east-1")
BACKUP_S3_ACCESS_KEY = env.text("BACKUP_S3_ACCESS_KEY", "")
BACKUP_S3_SECRET_KEY = env.text("BACKUP_S3_SECRET_KEY", "")

# --- Django ------------------------------------------------------------------------------------
SECRET_KEY = _secret_key()
# Credentials tokens that the hub must send are encrypted with this; kept apart when given.
ENCRYPTION_KEY = env.text("ENCRYPTION_KEY", SECRET_KEY)
# Keys of before: what they signed or encrypted is still read (manage.py rotate_keys).
SECRET_KEY_FALLBACKS = env.words("FORMER_SECRET_KEYS") + _former_keys()
FORMER_ENCRYPTION_KEYS = env.words("FORMER_ENCRYPTION_KEYS") + SECRET_KEY_FALLBACKS
DEBUG = False
ALLOWED_HOSTS = ["*"] if IS_TRIAL else [urlsplit(BASE_URL).hostname, "127.0.0.1", "localhost"]
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https:")
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# A session at the console ends when nobody was there for so long, and so long after its login.
SESSION_IDLE_MINUTES = env.number("SESSION_IDLE_MINUTES", 60)
SESSION_HOURS = env.number("SESSION_HOURS", 12)
SESSION_COOKIE_AGE = int(SESSION_HOURS * 3600)
# Every account has to present a second factor, and to set one up before anything else.
SECOND_FACTOR_REQUIRED = env.flag("SECOND_FACTOR_REQUIRED", False)

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "hub.apps.HubConfig",
    "hub.conformance.apps.ConformanceConfig",
    "hub.console.access.apps.AccessConfig",
    "hub.deviations.apps.DeviationsConfig",
    "hub.monitoring.alerts.apps.AlertsConfig",
    "hub.record.apps.RecordConfig",
    "locations.apps.LocationsConfig",
    "tariffs.apps.TariffsConfig",
    "sessions.apps.SessionsConfig",
    "cdrs.apps.CdrsConfig",
    "tokens.apps.TokensConfig",
    "commands.apps.CommandsConfig",
    "charging_profiles.apps.ChargingProfilesConfig",
    "flex.apps.FlexConfig",
    "flex.life.apps.LifeConfig",
    "flex.switching.apps.SwitchingConfig",
    "flex.knowledge.apps.KnowledgeConfig",
    "flex.api.apps.FlexApiConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "hub.console.access.policy.ContentPolicy",
    "hub.console.access.gate.Gate",
    "hub.console.password.OneTimePasswordMiddleware",
    "hub.console.access.gate.FactorRequired",
    # Last: what one of these turns away is no act.
    "hub.console.access.trail.Trail",
]
ROOT_URLCONF = "hub.urls"
# OCPI endpoints are answered with and without a trailing slash, never redirected.
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "hub" / "console" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"console": "hub.console.beginnings"},
        },
    }
]
DATABASES = {
    "default": {
        **env.database("DATABASE_URL"),
        # One lasting connection for each thread, looked at before each use.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
# No statement waits without a limit: for a lock, for its own end, for a server that is gone.
# Migrations and backups wait as long as it takes (hub/backup/, hub/management/commands/migrate.py).
LOCK_TIMEOUT = env.number("LOCK_TIMEOUT", 10)
STATEMENT_TIMEOUT = env.number("STATEMENT_TIMEOUT", 60)
DATABASE_TIMEOUTS = (
    f"-c lock_timeout={LOCK_TIMEOUT * 1000:.0f} -c statement_timeout={STATEMENT_TIMEOUT * 1000:.0f}"
)
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    **DATABASES["default"]["OPTIONS"],
    "options": f"{DATABASES['default']['OPTIONS'].get('options', '')} {DATABASE_TIMEOUTS}".strip(),
}
# For hub/db/sql.py: the ORM's cursors never prepare, and with None psycopg does not either.
DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5
# Threads of one web process that run Django; each holds one database connection.
DJANGO_THREADS = env.integer("DJANGO_THREADS", 8, least=2)
HANDSHAKE_THREADS = env.integer("HANDSHAKE_THREADS", 4, least=1)
# The console's own, so that its visitors take none of OCPI's; one more checks passwords.
CONSOLE_THREADS = env.integer("CONSOLE_THREADS", 2, least=1)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["hub.console.passwords.PatientHasher"]
AUTHENTICATION_BACKENDS = ["hub.console.access.roles.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # where a login leads that began at the login page itself
# Single sign-on (OpenID Connect), where OIDC_ISSUER is set (hub/console/access/oidc.py).
OIDC_ISSUER = env.text("OIDC_ISSUER", "")
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID", "") if not OIDC_ISSUER else env.text("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET", "")
OIDC_NAME = env.text("OIDC_NAME", "Single sign-on")
OIDC_SCOPE = env.text("OIDC_SCOPE", "openid email profile")
# By what an account is found that nobody has come from there with: its e-mail address, or its name.
OIDC_ACCOUNT_CLAIM = env.text("OIDC_ACCOUNT_CLAIM", "email")
# `group=ROLE group=ROLE`: the first that fits is the role of that day. Empty: the hub gives roles.
OIDC_ROLES_CLAIM = env.text("OIDC_ROLES_CLAIM", "groups")
OIDC_ROLES = env.pairs("OIDC_ROLES", {"OPERATOR", "READER", "PRIVACY"})
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["hub.console.formats"]
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "hub" / "console" / "static"]
# Assets are served from the packages that ship them: nothing to collect, nothing to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "hub.views.answer_exception",
    "UNAUTHENTICATED_USER": None,
}

UNFOLD = {
    "SITE_TITLE": HUB_NAME,
    "SITE_HEADER": HUB_NAME,
    "SITE_SUBHEADER": f"{HUB_COUNTRY_CODE}-{HUB_PARTY_ID}",
    "SITE_SYMBOL": "hub",
    "SITE_URL": "/admin/",
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": sidebar.SIDEBAR,
    "ACCOUNT": sidebar.ACCOUNT,
    "COLORS": sidebar.COLORS,
    "STYLES": sidebar.STYLES,
    "SITE_FAVICONS": sidebar.FAVICONS,
    "DASHBOARD_CALLBACK": "hub.console.dashboard.dashboard",
}

# --- Celery ------------------------------------------------------------------------------------
CELERY_BROKER_URL = env.text("REDIS_URL")
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
# A worker lives and works without its broker, however long (hub/workers/process.py).
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    "health_check_interval": 10,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
# By the explicit names of tasks: the word before the dot is a subject, not a module.
CELERY_TASK_ROUTES = {
    "alerts.*": {"queue": "upkeep"},
    "charging_profiles.*": {"queue": "profiles"},
    "flex.*": {"queue": "profiles"},
    "pulls.*": {"queue": "pulls"},
    "backup.*": {"queue": "upkeep"},
    "cdrs.*": {"queue": "upkeep"},
    "conformance.*": {"queue": "upkeep"},
    "keeping.*": {"queue": "upkeep"},
    "knowledge.*": {"queue": "upkeep"},
    "parties.*": {"queue": "upkeep"},
    "preferences.*": {"queue": "upkeep"},
    "record.*": {"queue": "upkeep"},
    "sessions.*": {"queue": "upkeep"},
    "sync.*": {"queue": "upkeep"},
}
CELERY_TASK_DEFAULT_QUEUE = "upkeep"
# What workers do without end: queue, class (`Loop` in hub/workers/process.py).
PERMANENT_LOOPS = {
    "profiles": "charging_profiles.carrier.Carrying",
    "deliveries": "hub.deliveries.keeper.Keeper",
}
# What workers do by the clock: queue, task, seconds (hub/workers/timers.py).
TURNS_BY_THE_CLOCK = {
    "profiles": {
        "charging_profiles.end_overdue": 1.0,
        "flex.advance": 1.0,
        "flex.watch_sites": 5.0,
        "flex.reconsider_changed": 1.0,
        "flex.look_for_prepared": 1.0,
        # In both: whoever comes first takes the turn, and each tells of the other's end.
        "alerts.watch": 5.0,
    },
    "upkeep": {
        "alerts.watch": 5.0,
        "alerts.look_at_certificates": 600.0,
        "pulls.queue_due": 5.0,
        "sessions.forget_left_behind": 10.0,
        "cdrs.check_new": 5.0,
        "knowledge.judge_due": 5.0,
        "parties.check_quiet_platforms": 1.0,
        "sync.mark_replays": 1.0,
        "sync.tell_pulled": 1.0,
        "record.copy_to_table": 1.0,
        "record.make_partitions": 600.0,
        "conformance.queue_waiting": 10.0,
        "backup.make_due": 60.0,
        "keeping.recount": 900.0,
        "keeping.keep_within_quota": 60.0,
        "keeping.clean_up": 3600.0,
    },
}

# What no format of ours shows need not be found out for each record (Logging HOWTO, Optimization).
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None

# `line` for people, `json` for programs: an object a line, with the ids of the message.
LOG_FORMAT = env.choice("LOG_FORMAT", "line", "json")
# --- Logging: one line a message, never a credentials token or a driver's uid ------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"class": "hub.startup.log.Line", "format": "%(levelname)-7s %(name)s %(message)s"},
        "json": {"class": "hub.startup.log.Json"},
    },
    "handlers": {"stderr": {"class": "hub.startup.log.Batches", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "celery": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "urllib3": {"level": "ERROR"},
        # It tells the ids of people's security keys.
        "fido2": {"level": "WARNING"},
        # uvicorn's own handlers would write past the formatter above.
        "uvicorn": {"level": "WARNING", "handlers": [], "propagate": True},
    },
}
