//! Which read model a command is about.

use schema::view::Model;

/// Where a read model is named on the command line.
#[derive(clap::Args, Clone, Debug)]
pub struct Named {
    /// The read model
    #[arg(value_name = "NAME", value_parser = parse)]
    pub model: Model,
}

pub fn parse(text: &str) -> Result<Model, String> {
    Model::ALL.into_iter().find(|model| model.name() == text).ok_or_else(|| {
        let names = Model::ALL.map(Model::name).join(", ");
        format!("there is no such read model; there are {names}")
    })
}
