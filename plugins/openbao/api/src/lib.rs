//! banhbaoring-openbao-api
