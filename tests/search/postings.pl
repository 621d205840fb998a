# postings.pl FILE -- a second reader of a search index's blobs, written from the words at the head
# of common/search/postings.h alone. It is for reading, not for speed.
#
# FILE has, one after another, a line "LEVEL BUCKET BASE LENGTH" and so many bytes of a blob. Each is
# printed as a line of its key, one of its wild ordinals, and one for each term with its ordinals.
use strict;
use warnings;

my @width = (32, 8, 12, 16);
my @bits = (5, 5, 8, 12);
my @offset_size = (4, 1, 2, 2);

my ($blob, $at); # bytes, and how many of them were read

sub bytes
{
    my ($count) = @_;
    die "cut at $at\n" if $at + $count > length $blob;
    $at += $count;
    return substr $blob, $at - $count, $count;
}

sub number
{
    my ($value, $shift) = (0, 0);
    while (1) {
        my $byte = ord bytes(1);
        $value |= ($byte & 127) << $shift;
        return $value if $byte < 128;
        $shift += 7;
    }
}

sub list
{
    my ($count, $level, $base) = @_;
    my $bitmap = $level ? 2**$width[$level] / 8 : 0;
    my @offsets;
    if ($level && $count * $offset_size[$level] >= $bitmap) {
        my $bits = unpack 'b*', bytes($bitmap); # the lowest bit of each byte first
        @offsets = grep { substr($bits, $_, 1) } 0 .. length($bits) - 1;
    } else {
        my $letter = {1 => 'C*', 2 => 'v*', 4 => 'V*'}->{$offset_size[$level]};
        @offsets = unpack $letter, bytes($count * $offset_size[$level]);
    }
    die "a list of other than $count\n" if @offsets != $count;
    return join '', map { ' ' . ($base + $_) } @offsets;
}

sub show
{
    my ($level, $bucket, $base) = @_;
    print "blob $level $bucket $base\n";
    die "another version or level\n" if bytes(1) ne "\x01" || ord bytes(1) != $level;
    print 'wild', list(number(), $level, $base), "\n";
    my $term = -1;
    while ($at < length $blob) {
        $term += number() + 1;
        die "another bucket\n" if $term >> (32 - $bits[$level]) != $bucket;
        print $term, list(number() + 1, $level, $base), "\n";
    }
}

open my $file, '<:raw', $ARGV[0] or die "$ARGV[0]: $!\n";
while (my $line = <$file>) {
    my ($level, $bucket, $base, $length) = split ' ', $line;
    read($file, $blob, $length) == $length or die "$ARGV[0] is cut\n";
    $at = 0;
    show($level, $bucket, $base);
}
