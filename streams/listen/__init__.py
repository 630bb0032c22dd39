"""Sources that come to us: HTTP, syslog, the journal, standard input.

Lines that others send come in; parcels of lines go out, which whoever takes them makes durable
before their sender is told so. No judgement here.
"""
