"""What to add to a server's own logging so that its log says who asked, by log format.

Formats in; lines of that server's configuration out, and the line of ours that reads what they
add. The service is taken to answer with X-Authenticated-User, which a gateway can log.
"""

from collections.abc import Set as AbstractSet

_FIELDS = "intake: {{fields: {{principal: {}}}}}"
_LINES = {
    "nginx-ingress": (
        (
            'log-format-escape-json: "true"    # in the ConfigMap, with\n'
            'log-format-upstream: \'{"time":"$time_iso8601","remote_addr":"$remote_addr",'
            '"x_forwarded_for":"$http_x_forwarded_for","request":"$request","status":$status,'
            '"bytes_sent":$body_bytes_sent,"host":"$host","http_user_agent":"$http_user_agent",'
            '"request_id":"$req_id","user_id":"$upstream_http_x_authenticated_user",'
            '"session_id":"$cookie_session"}\''
        ),
        "user_id",
    ),
    "traefik": (
        "accessLog: {format: json, fields: {headers: {names: {X-Authenticated-User: keep}}}}",
        "downstream_X-Authenticated-User",
    ),
    "haproxy": (
        "capture response header X-Authenticated-User len 64    # the first of its kind",
        "captured.response.1",
    ),
    "envoy": (
        'user_id: "%RESP(X-AUTHENTICATED-USER)%"    # in the json_format of the access log',
        "user_id",
    ),
    "caddy": ("", "resp_headers.X-Authenticated-User"),
    "kong": ("", "response.headers.x-authenticated-user"),
    "cloudflare": (
        "ResponseHeaders: x-authenticated-user    # a custom field of the Logpush job",
        "ResponseHeaders.x-authenticated-user",
    ),
    "aws-apigateway": (
        '"authorizerPrincipalId":"$context.authorizer.principalId"    # in the log format',
        "",
    ),
    "iis": (
        (
            '<add logFieldName="authenticated-user" sourceName="X-Authenticated-User" '
            'sourceType="ResponseHeader" />    # in customFields of the site\'s logFile'
        ),
        "authenticated-user",
    ),
    "aws-alb": (
        (
            'intake: {join: {gateway: ["*alb*"], service: ["*app*"]}}    # it logs no user: join '
            "the log of the service, which can write X-Amzn-Trace-Id"
        ),
        "",
    ),
    "spring": (
        'server.tomcat.accesslog.pattern=%h %l %u %t "%r" %s %b    # %u: who was authenticated',
        "",
    ),
}


def principal_line(formats: AbstractSet[str]) -> str:
    """The lines that make the log of these formats name its users; "" where none is known."""
    for name in sorted(formats & _LINES.keys()):
        server, field = _LINES[name]
        ours = _FIELDS.format(field) if field else ""
        return "\n".join(line for line in (server, ours) if line)
    return ""
