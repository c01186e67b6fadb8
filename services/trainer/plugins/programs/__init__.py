"""Programs that plugins put into users' pods as files: the standard library alone, of whatever Python the image has."""
