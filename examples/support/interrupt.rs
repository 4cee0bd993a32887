//! Ctrl-C ends an example with what is done.

use contrastive_dynamics::parallel::Cancel;

/// A flag that Ctrl-C sets.
pub(crate) fn flag() -> Result<Cancel, ctrlc::Error> {
    let cancel = Cancel::new();
    let handler = cancel.clone();
    ctrlc::set_handler(move || handler.cancel())?;
    Ok(cancel)
}

/// Whether it was set, and then says what there is not.
pub(crate) fn ended(cancel: &Cancel) -> bool {
    if cancel.is_cancelled() {
        println!("\nended before all was done: no picture");
    }
    cancel.is_cancelled()
}
