// Package sample holds dynotap's words: samples, channels, channel sets,
// batches, units and their conversions, and the encoding of a batch.
//
// It imports nothing else of dynotap, so that every other room can speak in
// these terms.
package sample
