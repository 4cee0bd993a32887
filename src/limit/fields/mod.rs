//! The Gaussian fields that the limit averages over: their second moments, their factors, and groups of nodes of the hidden
//! law that shift them alike.

pub(in crate::limit) mod canonical;
pub(in crate::limit) mod factor;
pub(in crate::limit) mod groups;
pub(in crate::limit) mod moments;
pub(in crate::limit) mod view_coordinates;
