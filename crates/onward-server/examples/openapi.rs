//! Prints the description of Onward's own HTTP API: `make openapi` keeps it in `docs/openapi.json`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", onward_server::api::description().to_pretty_json()?);
    Ok(())
}
