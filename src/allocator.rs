//! The allocator: mimalloc, which keeps small things close together, and gives back what is not needed any more.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
