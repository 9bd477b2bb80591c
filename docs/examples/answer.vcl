# Questions about a document, answered by a neural network: GET /?q=..., or a POST of the question.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("answer", """{
		"filename": "/usr/bin/node",
		"main_arguments": ["/srv/answer/answer.js", "/srv/answer/document.txt"],
		"protocol": "http",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/nodejs", "/srv/answer"],
		"max_memory": 1024,
		"max_request_memory": 256,
		"address_space": 32000,
		"max_boot_time": 60,
		"warmup": { "url": "/?q=What+is+this", "num_requests": 5 }
	}""");
	tinykvm.start("answer");
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("answer");
}

sub vcl_backend_response {
	# The same question has the same answer until the document is another one.
	if (beresp.status == 200) {
		set beresp.ttl = 1h;
		unset beresp.http.Cache-Control;
	}
}
