# Programs called from VCL for a string, for binary data, and for a synthetic response.
vcl 4.1;

import blob;
import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("to_string", """{"filename": "/srv/programs/to_string", "concurrency": 4}""");
	tinykvm.configure("error_page", """{"filename": "/srv/programs/error_page"}""");
}

sub vcl_recv {
	# Query parameters in one order, without those of advertisers; the URL as it is when that fails.
	set req.url = tinykvm.to_string("to_string", req.url, "utm_*,fbclid", on_error=req.url);

	if (req.url == "/") {
		return (synth(200));
	}
	return (synth(404));
}

sub vcl_synth {
	# Here the program's answer is bytes, and VCL says how to write them.
	set resp.http.X-Id = blob.encode(encoding=BASE64URL, blob=tinykvm.to_blob("to_string", req.url));

	# 0 if there is no page: then Varnish's own is delivered.
	if (resp.status >= 400 && tinykvm.synth(resp.status, "error_page", req.url, resp.reason) != 0) {
		return (deliver);
	}
}
