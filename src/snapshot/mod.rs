//! Files that others read.

pub mod atomic;
