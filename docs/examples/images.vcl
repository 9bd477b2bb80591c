# Pictures of a server as WebP or AVIF, thumbnails of them, and a watermark: docs/images.md.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/images.json");
}

sub vcl_recv {
	# Of Accept only what makes a difference.
	if (req.http.Accept ~ "(?i)(^|,)\s*image/avif\s*(,|$)") {
		set req.http.Accept = "image/avif";
	} elsif (req.http.Accept ~ "(?i)(^|,)\s*image/webp\s*(,|$)") {
		set req.http.Accept = "image/webp";
	} else {
		unset req.http.Accept;
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/thumbnails/[a-z]+/") {
		# /thumbnails/square/a.jpg
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + regsub(bereq.url, "^/thumbnails/[a-z]+", ""));
		set bereq.backend = tinykvm.to_backend("thumbnails", "",
		    {"{ "thumbnail": ""} + regsub(bereq.url, "^/thumbnails/([a-z]+)/.*", "\1") + {"" }"});
	} elsif (bereq.url ~ "^/marked/") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + regsub(bereq.url, "^/marked", ""));
		tinykvm.chain("watermark");
		set bereq.backend = tinykvm.to_backend("webp", "", """{ "quality": 70 }""");
	} elsif (bereq.url ~ "(?i)^/[^?]*\.(jpe?g|png)$") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("webp", "", """{ "format": "auto" }""");
	} else {
		set bereq.backend = server;
	}
}

sub vcl_backend_response {
	# A picture that cannot be changed is looked at again soon.
	if (beresp.status >= 400) {
		set beresp.ttl = 10s;
	}
}
