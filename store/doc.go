// Package store keeps what was recorded: captures and their samples, first as
// live chunks in the database, then sealed into Parquet files; the catalog of
// channel sets and runs; and reads all of it back.
//
// A batch becomes a chunk by an effect (ChunkEffect) in the transaction that
// acknowledges it, and is recognised for ever by its id, so that it is stored
// once however often it is delivered. Sealing moves chunks into a file: the
// file's row in the catalog says up to which chunk it replaces them, so a
// sample always counts in exactly one of the two places; the chunks that no
// longer count are deleted in small transactions, because one that deletes ten
// minutes of them would hold up every commit for some tenths of a second.
package store
