//! Prints the public items of a crate, one on a line, from the JSON that rustdoc has written of it.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args_os().nth(1).ok_or("usage: onward-face FILE.json")?;
    // What follows from every type by itself, and what `derive` writes, would hide what was decided.
    let face = public_api::Builder::from_rustdoc_json(std::path::PathBuf::from(json))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    for item in face.items() {
        println!("{item}");
    }
    Ok(())
}
