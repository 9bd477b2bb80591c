module tinykvm/kvm

go 1.19
