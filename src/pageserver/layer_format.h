/*
 * A layer file as it lies on disk and in the object store; little-endian.
 *
 *   blocks    each zstd of entries; about LAYER_BLOCK_BYTES before compression, one big value more
 *   index     per block: key, lsn of its first entry | u64 offset | u32 stored bytes | u32 raw bytes | u32 crc32c of the stored bytes
 *   footer    LAYER_FOOTER_BYTES at the end of the file
 *
 *   entry     key | u64 lsn | u8 value kind | u32 len | bytes
 *   key       u8 kind | u32 spc | u32 db | u32 rel | u8 fork | u32 block
 *
 * Entries are ordered by key up, LSN down; of several at one (key, LSN) the one put last comes first.
 */
#ifndef TARN_PAGESERVER_LAYER_FORMAT_H
#define TARN_PAGESERVER_LAYER_FORMAT_H

#define LAYER_MAGIC 0x3152594c4e524154ull /* "TARNLYR1" */
#define LAYER_VERSION 1u
#define LAYER_BLOCK_BYTES ((size_t)32 << 10)
#define LAYER_KEY_BYTES 18u
#define LAYER_ENTRY_HEADER_BYTES (LAYER_KEY_BYTES + 8u + 1u + 4u)
#define LAYER_INDEX_ENTRY_BYTES (LAYER_KEY_BYTES + 8u + 8u + 4u + 4u + 4u)
/* u64 index offset | u64 index bytes | u64 entries | key first | key last | u64 lo | u64 hi | u8 image | u32 index crc
 * | u32 version | u32 crc of the footer before it | u64 magic */
#define LAYER_FOOTER_BYTES (8u + 8u + 8u + 2u * LAYER_KEY_BYTES + 8u + 8u + 1u + 4u + 4u + 4u + 8u)
#define LAYER_MAX_INDEX_BYTES ((uint64_t)64 << 20)

#endif
