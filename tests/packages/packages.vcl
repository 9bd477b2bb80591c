# What tests/packages/run asks an installed Varnish.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.init_self_requests("/run/varnish/self.sock", "http://www.example.com");
	tinykvm.configure("hello", """{"filename": "/usr/lib/tinykvm/hello"}""");
	tinykvm.configure("copy", """{"filename": "/usr/lib/tinykvm/fetch"}""");
}

sub vcl_recv {
	if (local.socket == "self") {
		return (synth(200, "itself, as " + req.http.Host));
	}
	if (req.url == "/hello" || req.url == "/fetch") {
		return (pass);
	}
	return (synth(700));
}

sub vcl_synth {
	if (resp.status == 700) {
		set resp.status = 200;
		# No program of that name is configured: Varnish asks itself, without a VM.
		set resp.body = tinykvm.to_string("fetch", "/page", on_error = "failed");
	} else {
		set resp.body = resp.reason;
	}
	return (deliver);
}

sub vcl_backend_fetch {
	if (bereq.url == "/hello") {
		set bereq.backend = tinykvm.to_backend("hello");
	} else {
		set bereq.backend = tinykvm.to_backend("copy", "/page");
	}
}
