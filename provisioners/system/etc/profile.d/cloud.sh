# CloudStack's programs, for who logs in.
PATH=$PATH:/opt/cloud/bin
export PATH
