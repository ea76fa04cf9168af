//! banhbaoring-pipeline
