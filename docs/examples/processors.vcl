# A request that computes on two CPUs at a time.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("primes", """{
		"filename": "/usr/lib/tinykvm/primes",
		"smp": 2,
		"concurrency": 1
	}""");
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("primes");
}
