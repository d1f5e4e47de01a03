"""Mail, as bytes on their way: to a mail server, or into a folder."""
