#!/usr/bin/env python3
"""An HTTPS server on 127.0.0.1 whose certificate nobody vouches for. Prints its port; ends after as many connections as
its argument says. "/to/URL" redirects to the URL."""
import socket
import ssl
import sys
import tempfile

# Made for this test and good for nothing else:
# openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHUd+Nl4ydcMwlmnK
8qiM+oF5j7HbF0u1KUsp171KD5qhRANCAAS37FzcdcAWd79hZYxwCvLlSgvwHfwW
6F/vMstoogwyYOh4BU1ENFOjbJZz8BKZqmsVsm6xswZZd90VQXD+mUZA
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUNalJ0cofhQ4BaGznNq0zdpYWciswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE2MzUyMVoYDzIxMjYxMDMx
MTYzNTIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS37FzcdcAWd79hZYxwCvLlSgvwHfwW6F/vMstoogwyYOh4BU1ENFOj
bJZz8BKZqmsVsm6xswZZd90VQXD+mUZAo2kwZzAdBgNVHQ4EFgQUbGsm5io8W/Kw
BL3+kMGyNq8iceEwHwYDVR0jBBgwFoAUbGsm5io8W/KwBL3+kMGyNq8iceEwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhALWCPYQVT5KjBkvzRcCisqRSvUeTk1QFckdKKo2FAhD6AiBV7bpsWXZq
b1YdAu9abQyNhBx4VypjRrD/26fA9QuXpg==
-----END CERTIFICATE-----
"""

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
    file.write(PEM)
    file.flush()
    context.load_cert_chain(file.name)
with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.settimeout(300)
    print(listener.getsockname()[1], flush=True)
    for _ in range(int(sys.argv[1])):
        connection = listener.accept()[0]
        connection.settimeout(300)
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                path = secured.recv(65536).split(b" ")[1]
                if path.startswith(b"/to/"):
                    secured.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n"
                                    b"Location: " + path[4:] + b"\r\n\r\n")
                    continue
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        except OSError:
            pass  # the client did not like us
