# Text as speech: docs/speech.md.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.library("file:///etc/varnish/speech.json");
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/say/(de|en|es|fr)/") {
		# /say/de/Guten%20Tag, small enough for a web page
		set bereq.backend = tinykvm.to_backend("speech-opus", "",
		    {"{ "voice": ""} + regsub(bereq.url, "^/say/(..)/.*", "\1") + {"" }"});
	} else {
		# /?text=hello, or what is POSTed
		set bereq.backend = tinykvm.to_backend("speech", "", """{ "speed": 160 }""");
	}
}

sub vcl_backend_response {
	# The same text is always the same sound.
	if (beresp.status == 200) {
		set beresp.ttl = 1d;
	}
}
