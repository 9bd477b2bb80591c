# Pictures as AVIF, by a command that reads and writes nothing but files: avifenc (Debian's libavif-bin).
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("avif", """{
		"filename": "/usr/bin/avifenc",
		"main_arguments": ["--jobs", "1", "--speed", "8", "/tmp/picture.png", "/tmp/picture.avif"],
		"protocol": "stdio",
		"input": "/tmp/picture.png",
		"output": "/tmp/picture.avif",
		"content_type": "image/avif",
		"exit_statuses": {"1": 422},
		"max_request_memory": 512,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib"]
	}""");
}

sub vcl_recv {
	return (pass);
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("avif");
}
