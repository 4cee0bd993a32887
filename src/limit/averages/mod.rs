//! Averages over the fields: two of them, four, or all of a whole batch.

mod block_products;
pub(in crate::limit) mod closed;
pub(in crate::limit) mod curvature;
pub(in crate::limit) mod field_form;
pub(in crate::limit) mod forms;
pub(in crate::limit) mod four_fields;
pub(in crate::limit) mod independent_views;
pub(in crate::limit) mod kernel;
pub(in crate::limit) mod kinked;
mod nested;
pub(in crate::limit) mod pair_form;
pub(in crate::limit) mod pair_motion;
pub(in crate::limit) mod panels;
pub(in crate::limit) mod sum_form;
pub(in crate::limit) mod sum_gradient;
mod sum_grid;
mod sum_lattice;
pub(in crate::limit) mod sum_law;
pub(in crate::limit) mod sum_nodes;
pub(in crate::limit) mod table;
pub(in crate::limit) mod two_fields;
pub(in crate::limit) mod two_fields_gradient;
pub(in crate::limit) mod two_views;
pub(in crate::limit) mod two_views_gradient;
mod view;
mod wave_lines;
pub(in crate::limit) mod whole_batches;
