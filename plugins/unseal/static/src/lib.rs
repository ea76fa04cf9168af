//! banhbaoring-plugin-unseal-static
