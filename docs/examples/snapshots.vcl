# A server that starts once: its booted, warmed-up state is kept in a file, which is mapped when Varnish starts again.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("python", """{
		"filename": "/usr/bin/python3",
		"main_arguments": ["/srv/app.py"],
		"protocol": "http",
		"listen": 8000,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/bin", "/srv"],
		"warmup": { "num_requests": 10 },
		"cold_start_file": "/var/lib/tinykvm/python.snapshot"
	}""");
}

sub vcl_recv {
	return (pass);
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("python");
}
