"""Words that commands and pages share."""

# The name of a setting in messages, and the option or environment variable that sets it on the command line.
_LOCAL_SETTINGS = {
    "TextField": "--text-field",
    "FallbackEncoding": "REVIEWBOX_FALLBACK_ENCODING",
    "MaxObjectBytes": "REVIEWBOX_MAX_OBJECT_BYTES",
}


def number_of(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural if the count is not 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def for_command_line(message: str) -> str:
    """Return an error message with the names that settings have on the command line."""
    for name, local_name in _LOCAL_SETTINGS.items():
        message = message.replace(name, local_name)
    return message
