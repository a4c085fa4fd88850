#!/usr/bin/perl
# channel.pl: does what the host asks for over a port of its own: holds the disk still for a checkpoint, and goes on.
# uses: /dev/virtio-ports/org.systemvm-image.build    leaves: one line of answer to each request
#
# In Perl, which is essential to Debian, and not in shell: while a disk is held, every program that is started costs an
# emulated guest a tenth of a second.
use strict;
use warnings;

my $kit  = '/run/systemvm-build';
my $port = '/dev/virtio-ports/org.systemvm-image.build';

# From linux/fs.h. Freezing writes all there is to the disk first.
my ($FIFREEZE, $FITHAW) = (0xC0045877, 0xC0045878);

umask 077;
$SIG{PIPE} = 'IGNORE';
my $host   = open_port();
my $heard  = '';
my @frozen = ();
my %answer = (
    freeze  => \&freeze,
    thaw    => \&thaw,
    sleep   => \&fall_asleep,
    wake    => \&wake_up,
    release => sub { write_file("$kit/released", '') },
);

while (1) {
    my ($request, @words) = split ' ', next_line();
    my $run = $answer{$request} or die "systemvm-build: the host asks for \"$request\"\n";
    my $said = eval { $run->(@words); 1 } ? "done $request" : "failed $request: $@";
    chomp $said;
    syswrite $host, "$said\n";
}

sub open_port {
    system 'modprobe', '--quiet', 'virtio_console';
    for (1 .. 600) {
        if (open my $opened, '+<:raw', $port) { return $opened }
        select undef, undef, undef, 0.1;
    }
    die "systemvm-build: no port $port appeared within 60 s\n";
}

sub next_line {
    hear() until $heard =~ s/^(.*)\n//;
    return $1;
}

sub next_bytes {
    my ($count) = @_;
    hear() until length $heard >= $count;
    return substr $heard, 0, $count, '';
}

# Nothing is read while nobody has the other end.
sub hear {
    sysread $host, $heard, 65536, length $heard or select undef, undef, undef, 0.1;
}

# The disk's own filesystems, outermost first, each once however often it is mounted.
sub mount_points {
    my ($types) = @_;
    my (%seen, @folders);
    for (split /\n/, read_file('/proc/self/mounts')) {
        my (undef, $folder, $type) = split ' ';
        next unless $type =~ $types;
        $folder =~ s/\\([0-7]{3})/chr oct $1/ge;
        my $device = (stat $folder)[0];
        push @folders, $folder unless $seen{$device}++;
    }
    return @folders;
}

sub freeze {
    # It knows no freezing, and is hardly ever written to.
    run('sync', '--file-system', $_) for mount_points(qr/^vfat$/);
    for my $folder (reverse mount_points(qr/^(?:ext[234]|xfs|btrfs)$/)) {
        open my $opened, '<', $folder or die "$folder: $!\n";
        if (!ioctl $opened, $FIFREEZE, 0) {
            my $why = "$folder: $!";
            eval { thaw(); 1 } or $why .= "; $@";
            die "$why\n";
        }
        unshift @frozen, $opened;
    }
}

sub thaw {
    my @failures = ();
    while (my $opened = shift @frozen) {
        ioctl $opened, $FITHAW, 0 or push @failures, "$!";
    }
    die "a filesystem stays frozen: @failures\n" if @failures;
}

# A sleeper's memory is kept: without what the disk has anyway, and with nobody half logged in when it wakes.
sub fall_asleep {
    my $sshd = sshd();
    kill 'STOP', $sshd;
    eval {
        run('sync');
        write_file('/proc/sys/vm/drop_caches', 3);
        freeze();
        1;
    } or do {
        my $why = $@;
        kill 'CONT', $sshd;
        die $why;
    };
}

# Its clock stood still, its randomness is that of every other guest that wakes from the same memory, and the files of
# its stages may be of an earlier run.
sub wake_up {
    my ($seconds, $bytes) = @_;
    my $renewal = next_bytes($bytes);
    run('date', '--utc', "--set=\@$seconds");
    thaw();
    if ($bytes > 0) {
        run('rm', '-rf', "$kit/stages", "$kit/hold");
        open my $tar, '|-:raw', 'tar', '--extract', '--directory=/run', '--no-same-owner' or die "tar: $!\n";
        print $tar $renewal;
        close $tar or die "tar ended with $?\n";
        write_file('/dev/urandom', read_file("$kit/seed"));
        unlink "$kit/seed";
    }
    kill 'CONT', sshd();
}

sub sshd {
    my ($pid) = read_file("$kit/sshd.pid") =~ /(\d+)/;
    return $pid;
}

sub run {
    my @command = @_;
    open my $output, '-|', @command or die "$command[0]: $!\n";
    local $/;
    <$output>;
    close $output or die "$command[0] ended with $?\n";
}

sub read_file {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$file>;
}

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>:raw', $path or die "$path: $!\n";
    print $file $text;
    close $file or die "$path: $!\n";
}
