//! banhbaoring-plugin-openbao
