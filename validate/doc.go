// Package validate checks samples: ranges, NaN and infinity, timestamps, and
// what a setting says is to be done about them.
//
// A Plan is compiled once for a channel set; after that a sample costs a few
// comparisons. Rules gives the same judgement in words, one reading at a time.
package validate
