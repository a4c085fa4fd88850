"""First boot of a system VM: takes the boot arguments from the hypervisor and makes the machine that they describe."""
