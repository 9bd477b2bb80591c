# Text of a server as Brotli or zstd for clients that take it, as gzip for the others: docs/compression.md.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/compression.json");
}

sub vcl_recv {
	# After this Varnish leaves nothing but gzip in Accept-Encoding. One copy as gzip is for all the others: Varnish decodes it
	# for clients that do not take it.
	if (req.http.Accept-Encoding ~ "(?i)(^|,)\s*br\s*(,|$)") {
		set req.http.X-Encoding = "br";
	} elsif (req.http.Accept-Encoding ~ "(?i)(^|,)\s*zstd\s*(,|$)") {
		set req.http.X-Encoding = "zstd";
	} else {
		set req.http.X-Encoding = "gzip";
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "(?i)^/[^?]*\.(css|html|js|json|svg|txt|xml)(\?|$)") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("compress", "", {"{ "encoding": ""} + bereq.http.X-Encoding + {"" }"});
	} else {
		set bereq.backend = server;
	}
}

sub vcl_backend_response {
	if (beresp.http.Vary ~ "(?i)(^|,)\s*Accept-Encoding\s*(,|$)") {
		# What tells the copies in this cache apart, where Accept-Encoding always is gzip.
		set beresp.http.Vary = beresp.http.Vary + ", X-Encoding";
	}
}

sub vcl_deliver {
	if (resp.http.Vary) {
		set resp.http.Vary = regsub(resp.http.Vary, ",\s*X-Encoding$", "");
	}
}
