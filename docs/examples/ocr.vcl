# The text in pictures of a server, and in those that are POSTed: docs/ocr.md.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/ocr.json");
}

sub vcl_backend_fetch {
	if (bereq.method == "POST") {
		set bereq.backend = tinykvm.to_backend("ocr", "", """{ "format": "json" }""");
	} elsif (bereq.url ~ "\.(jpe?g|png|webp)\.txt$") {
		# /scan.png.txt is the text in /scan.png
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + regsub(bereq.url, "\.txt$", ""));
		set bereq.backend = tinykvm.to_backend("ocr");
	} else {
		set bereq.backend = server;
	}
}
