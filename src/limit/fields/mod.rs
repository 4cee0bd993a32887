//! The Gaussian fields that the limit averages over: their second moments, their factors, and the nodes of the hidden
//! law that shift them.

pub(in crate::limit) mod factor;
pub(in crate::limit) mod groups;
pub(in crate::limit) mod hidden_nodes;
pub(in crate::limit) mod moments;
