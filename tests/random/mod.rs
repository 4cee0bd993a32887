//! Random numbers in bulk.

mod normals;
