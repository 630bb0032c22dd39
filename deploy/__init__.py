"""What runs inside the image beside the program: the one-shot services of docker-compose.yml."""
