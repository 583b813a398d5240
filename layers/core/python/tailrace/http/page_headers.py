"""What the page tells browsers to forbid: the same headers, whoever serves its files.

`tailrace.http.site` sends them. API Gateway sends those of template.yaml, and the policy that
`deploy.page` puts beside each file. CloudFront's stand in template.yaml, too; a test compares them.
"""

from collections.abc import Iterable

from tailrace.settings import Settings

# Styles are set by scripts too. Pictures come from us alone: one that an answer names elsewhere
# would tell that server what it was told to.
_POLICY = (
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:{files}",
    "connect-src 'self'{files}",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# Where the path is a secret: neither linked pages nor search engines are to learn it.
_HEADERS_OF_SHARED = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
_OVER_TLS = {"strict-transport-security": "max-age=31536000"}


def page_policy(files: Iterable[str] = ()) -> str:
    """Return the content security policy of the page.

    Parameters
    ----------
    files
        Origins that browsers write files of messages to, and read them from, beside the page's own.
    """
    more = "".join(f" {origin}" for origin in files)
    return "; ".join(_POLICY).format(files=more)


def page_headers(path: str, policy: str, *, over_tls: bool) -> dict[str, str]:
    """Return the headers of the page at a path.

    Parameters
    ----------
    policy
        As `page_policy` returns it.
    over_tls
        Whether browsers reach it by HTTPS.
    """
    headers = {**_HEADERS, "content-security-policy": policy}
    if over_tls:
        headers |= _OVER_TLS
    if path.startswith("/shared/"):
        headers |= _HEADERS_OF_SHARED
    return headers


def origins_of_bucket(bucket: str, region: str | None) -> list[str]:
    """Return the origins by which browsers may reach a bucket of Amazon S3."""
    hosts = [f"{bucket}.s3.amazonaws.com"]
    if region:
        hosts += [f"{bucket}.s3.{region}.amazonaws.com"]
        hosts += [f"{bucket}.s3.dualstack.{region}.amazonaws.com"]
    return [f"https://{host}" for host in hosts]


def origins_of_files(settings: Settings) -> list[str]:
    """Return the origins of the files of messages, none where they come from our own."""
    url = settings.attachments_url
    if url is None or not url.startswith("s3://"):
        return []
    if settings.attachments_endpoint_url:
        return ["/".join(settings.attachments_endpoint_url.split("/", 3)[:3])]
    import boto3

    return origins_of_bucket(url.split("/")[2], boto3.Session().region_name)
