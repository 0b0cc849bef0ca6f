/*
 * Operations on pages, as stored (PS_VALUE_OP); little-endian, byte-packed.
 *
 *   VM_CLEAR       u8 op | u16 byte of the map | u8 mask of bits to clear
 *   VM_CUT         u8 op | u16 byte of the map | u8 bits of it that stay; what follows is cleared
 *   XACT_STATUS    u8 op | u8 status | u32 n | n × u32 xid
 *   MULTI_OFFSET   u8 op | u16 entry | u32 offset
 *   MULTI_MEMBERS  u8 op | u32 n | n × { u16 index on the page, u32 xid, u8 status }
 */
#ifndef TARN_PAGESERVER_PAGE_OP_FORMAT_H
#define TARN_PAGESERVER_PAGE_OP_FORMAT_H

enum page_op_code {
	PAGE_OP_VM_CLEAR = 1,
	PAGE_OP_VM_CUT = 2,
	PAGE_OP_XACT_STATUS = 3,
	PAGE_OP_MULTI_OFFSET = 4,
	PAGE_OP_MULTI_MEMBERS = 5
};

/* Geometry of Postgres 15: visibilitymap.c, clog.c, multixact.c. */
#define VM_MAP_OFFSET 24u
#define VM_MAP_BYTES (8192u - VM_MAP_OFFSET)
#define VM_HEAP_BLOCKS_PER_BYTE 4u
#define VM_HEAP_BLOCKS_PER_PAGE (VM_MAP_BYTES * VM_HEAP_BLOCKS_PER_BYTE)
#define XACT_XIDS_PER_PAGE 32768u
#define MULTI_OFFSETS_PER_PAGE 2048u
#define MULTI_GROUP_BYTES 20u
#define MULTI_MEMBERS_PER_PAGE (8192u / MULTI_GROUP_BYTES * 4u)
#define SLRU_PAGES_PER_SEGMENT 32u

#endif
