"""Why there is nothing to download: one stable code each."""

from mereau.core.errors import ConflictError


class NotDownloadableError(ConflictError):
    """The redemption is not granted, not of digital content, or over."""

    code, title = "not_downloadable", "There is nothing to download"


class DownloadsUsedError(ConflictError):
    """As many links were followed as the reward allows."""

    code, title = "downloads_used", "All downloads are used"
