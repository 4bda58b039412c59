// Package pcap reads and writes network captures: the UDP datagrams in pcap
// and pcapng files, as dynotap, Wireshark and tcpdump write them.
package pcap
