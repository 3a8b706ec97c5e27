uwsgi --version

python3 -c "import keystonemiddleware.auth_token, oslo_messaging, oslo_db.api, cryptography.fernet, ssl, sqlite3, pymysql"
