//! The company's other services, over RabbitMQ, in the words of NestJS.
